"""Results to a report: numbers with intervals, figures, words, and what stands behind them.

load        results/<experiment> -> one long table (data)
tables      what each arm answers, which arms are compared, and what that says; intervals over replicates
            (replicates) and all animals (rises, animals, changes)
provenance  the manifests, audits and losses behind the results
findings    all of these, which an analysis may use
sections    the analyses in the order of the page: a function of findings to a section (format) or None; most words
            are in text and answer, and a section with a package of its own is by_epoch, by_factor or in analyses
write       composes the sections, draws their figures (figure, arms_figure, plots) and writes all files; pages makes
            Markdown and HTML
"""
