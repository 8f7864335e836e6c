"""The stages of an experiment, each kind built on those before it.

    model        what stages pass on: a base, weights on it, and the stages that made both
    foundation   folders, seeds, recipes: what all of them share
    datasets     rows and their audits, and the servers that write them
    trainings    a recipe with what the experiment changes in it
    bases        the base of all arms: given, trained, another one, or moved away from it
    teachers     teachers and their gates; the scoring of any model
    students     what each arm learns, and its training

:mod:`subliminal.experiment.expand` asks for them arm by arm and adds evaluations and reports. Each method adds its
stage to the plan (:class:`subliminal.experiment.plan.Plan`), which gives it its key.
"""
