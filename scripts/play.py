"""A trained model to play with, on a page of its own. python scripts/play.py RUN [--port 8000] [--open]

RUN is a run folder (its best checkpoint is taken) or a checkpoint, which needs neither its folder nor its data. What
the page offers depends on the model: digits are drawn, or uploaded as a photo; XOR has sliders on its decision surface;
tables have a form with their features and the effect of each; any other takes a file of inputs (.npy).
The page is served to this machine alone (127.0.0.1) and asks nothing of any other. Ctrl-C ends it.
"""

import argparse
import webbrowser
from collections.abc import Sequence
from importlib.util import find_spec

from kindling.errors import UserError, told_in_a_sentence

PACKAGES = ("fastapi", "uvicorn")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as in train.py: data.path=moved.csv")
    parser.add_argument("--port", type=int, default=0, help="default: 0, a free one")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling.reopening.run import Run

        run = Run(args.run, args.overrides)
        missing = [name for name in PACKAGES if not find_spec(name)]
        if missing:
            raise UserError(f"{', '.join(missing)} missing; pip install -e '.[play]' installs what the page needs")
        from kindling.play.server import HOST, bound, server_of
        from kindling.play.toy import Toy

        server = server_of(Toy(run))
        with bound(args.port) as listener:
            address = f"http://{HOST}:{listener.getsockname()[1]}/"
            print(f"{address}  (Ctrl-C ends it)", flush=True)
            if args.open:
                webbrowser.open(address)
            server.run(sockets=[listener])


if __name__ == "__main__":
    main()
