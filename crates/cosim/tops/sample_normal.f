// all as it is: the module has no parameters
