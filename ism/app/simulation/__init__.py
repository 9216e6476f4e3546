"""A simulated market on the real system: who can use what, how people react, sixty days in two minutes.

Nothing here is data. What is stored carries the data set `DATASET`, and every answer, table and plot says "simulated".
"""

DATASET = "simulated"
