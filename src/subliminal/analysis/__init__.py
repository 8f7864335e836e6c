"""Why a trait passes, and what a data set would teach: one command an analysis (``python -m subliminal.analysis``).

    leak, divergence, score    of tokens; each has command (its options), run, summary, and the scores of a batch
    steering                   of models
    detect                     of data sets; check holds it against sets whose answer is known (cases)
    carrier, transfer, score.board    of finished experiments, from what they left
    rows_page, masks           rows for a reader, with the loss mask of a recipe
    selection                  chooses tokens and rows by their scores, for data_builders.select

Analyses of rows share jobs (what each is asked for, and its folder), scored_rows (the loop over batches, and the file
of scores that a run goes on with), answers (rows as tokens), models (base and teachers in memory), logits, means and
trait_queries.
"""
