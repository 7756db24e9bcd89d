"""``tools/audit_kernels.py``: the label noise kernels against the paper's equations, and the audit against itself."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, FAILED, Parser, command, not_negative, positive
from caffe_compat.files import atomic_path
from caffe_compat.machine import cores


def _parser() -> Parser:
    parser = Parser(
        prog="audit_kernels.py",
        description="Check every equation of the paper against the kernels, by brute force, differences, autograd, the "
        "authors' answers and more, on inputs drawn afresh; then put faults into copies of the code and see each "
        "noticed. Exit code 1 if anything fails.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/audit/audit.md"),
        help="the report; beside it the same as .json, and as .html for readers without the code",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: a GPU, too, where there is one; cuda: fail without one",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=None, help="repeat the run of this seed (default: a new one)"
    )
    parser.add_argument("--cases", type=positive, default=24, help="random batches; a hundred thousand take hours")
    parser.add_argument("--mutations", choices=("all", "none"), default="all", help="none: put no faults in")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    from caffe_compat.label_noise.audit.page import page
    from caffe_compat.label_noise.audit.report import as_json, markdown, report, summary
    from caffe_compat.label_noise.audit.run import run_audit

    seed = secrets.randbelow(2**31) if args.seed is None else args.seed
    print(f"audit: seed {seed} (--seed {seed} repeats this run)")
    audit = run_audit(seed, args.cases, args.device, args.mutations == "all", cores(), _say)
    content = report(audit)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".md", markdown(content)), (".json", as_json(content)), (".html", page(content))):
        with atomic_path(args.out.with_suffix(suffix)) as part:
            part.write_text(text)
    print(summary(content))
    print(f"report: {args.out.with_suffix('.md')}, .json, .html")
    return DONE if content["passed"] else FAILED


def _say(what: str) -> None:
    print(f"audit: {what}", file=sys.stderr, flush=True)
