"""Where the program begins: nothing is imported before Ctrl-C has a meaning."""


def main() -> None:
    """Run the command line; Ctrl-C while it is being loaded is no traceback."""
    try:
        from g4local.cli import main as run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
