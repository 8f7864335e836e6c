"""One YAML to many stages: schema, plan, costs, and running them (``python -m subliminal.experiment``).

An experiment goes this way through the modules:

    load       reads the file: its form (schema, phrases), what contradicts itself, and what does not fit the recipes,
               commands and models that it names (checks, options)
    expand     asks for the stages that its arms (arms), its sweep (sweep) and its seeds need; stages makes each
    plan       gives each stage (stage) a key, from its commands and from the files that decide its result (sources)
    driver     sets aside results that the file does not ask for (stale), has Snakemake run what is not done, and plans
               once more without what failed
    run        brings one stage to its end: goes on, or starts over, and marks it; its output goes through log

A stage whose command is ours: gate (a teacher and its ladder), epochs (checkpoints by epoch), criterion (its record).
Beside the way: costs (what a plan takes), notes (what a plan says below that), display (what a terminal shows
meanwhile), fit (a file for another GPU).
"""
