"""Results to a report: numbers with intervals, figures, words, and what stands behind them.

load        results/<experiment> -> one long table (data)
tables      what each arm answers, which arms are compared, and what that says; intervals over replicates
            (replicates) and all animals (rises, most_named, specificity)
provenance  the manifests, audits and losses behind the results
findings    all of these, which an analysis may use
sections    the analyses in the order of the page: a function of findings to a section (of blocks) or None; those that
            most reports have are in answer and main_sections, and others in modules and packages of their names
write       composes the sections, draws their figures (figure, arms_figure, plots) and writes all files; pages makes
            Markdown and HTML
"""
