"""The smallest effect that a design can see, and the size of design that an effect needs.

    python scripts/power.py --questions 50 --samples 200 --baseline 0.012 --seeds 3

**Assumptions**, all stated in the output. A question's rate in an arm is Beta-distributed around the arm's mean, with
the share ``icc`` of an answer's variance between questions; a question's rates in the two arms have the correlation
``likeness`` (0 is the cautious end: arms of one base model share what makes a question easy). A training run shifts the
log-odds of an arm's rate by a normal amount with standard deviation ``run_sd``. Both arms have the same sizes.

**Method.** Power of the paired t test (J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed.
1988; statsmodels computes the non-central t), with the variances that follow from the assumptions. Over training runs
it is that of the runs' log-odds, paired by seed, for an effect on the questions asked; over questions that of the
rates, for an effect on all questions of their kind. Simulated experiments see such effects with the stated chance to
within 0.07 (2 to 8 runs, 2 and 200 samples, 1,000 experiments each, in tests/stats/test_power.py).

What a single finished experiment measured is a poor plan for the next: an effect that was only just seen is likely
overestimated (A. Gelman & J. Carlin, Perspect. Psychol. Sci. 9, 2014). Plan for the smallest effect that would matter.
"""
