# SPDX-License-Identifier: MIT
"""A reader of stores, written from the specification in the folder above and from nothing else."""
