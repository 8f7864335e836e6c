"""What a terminal shows of an experiment: ``watch`` sees what changed, ``outcome`` reads it, ``lines`` says it."""
