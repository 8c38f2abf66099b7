"""The reference edge and center: what a careful implementation of the 2006 data flow does."""
