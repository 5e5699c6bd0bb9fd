"""The command `flowrl-kb`; an answer is over before garbage matters, so none is collected, not even while importing."""

import gc


def main() -> None:
    """Run the command line with the arguments of this process."""
    gc.disable()
    from flowrl_kb.cli import main as run

    run()


if __name__ == "__main__":
    main()
