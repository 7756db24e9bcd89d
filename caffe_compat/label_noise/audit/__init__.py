"""The audit: every equation of the paper against the kernels, by checks that are shown to be able to fail.

``ledger`` has a row for every equation; ``model_checks``, ``em_checks`` and ``confusion_checks`` fill the rows with
findings about what ``kernels`` gives for the ``batches``, by the witnesses of ``exact``; ``tags`` holds the ledger
against the code; ``mutations`` and ``mutants`` put faults into the code and ask the same checks to find them; ``run``
does it all and ``report`` and ``page`` write it down.
"""
