"""Stages that models come from: trainings, and the bases that all else starts from."""
