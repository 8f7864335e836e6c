"""What an experiment found, published: its raw answers, packed, and pages that are made of them again.

    pack            results/<experiment> -> results/published/<date>-<experiment>: refuses what is unfinished or wrong
    archive         the two Parquet files of it: answers and records
    entries         what is published, and the way back: files laid out again from the two
    rescore         raw answers -> metrics, rows and summaries, by the tasks' own code
    page            RESULTS.md and the pages beside the raw answers; run_facts has when, on what and from what
    verify_pages    all of that once more, compared with what is there (`scripts/results.py verify`)

Of a run that is not published: ``verify_report`` (`scripts/verify_results.py`), ``chain`` (sha256 of all that it rests
on), ``experiment_manifest``, ``compare_runs``, ``join`` (shards put together), ``tried`` (what a search tried). Of
adapters on the Hub: ``adapters`` (what goes), ``cards`` and ``adapter_push``.
"""
