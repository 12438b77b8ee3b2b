// all as it is: the wrapper has no parameters
