// all as it is: the unit has no parameters
