"""Can this machine do the work? Plain lines: ``ok``, ``warning`` (go on, but know it), ``problem`` (it will stop).

    python scripts/doctor.py --experiment experiments/owl_demo.yml

Nothing heavy is imported and nothing is changed: versions come from the installed packages' metadata, the GPU from
``nvidia-smi``.

    examine         the machine, line by line, of
    environments    virtual environments and their locks
    gpu             GPUs, driver, compiler
    machine         Python, processor, memory, disk, categories, git
    network         the Hub, its token, telemetry
    experiment      what an experiment file asks for, held against the machine
    lines           one finding
"""
