// one value of the state to a byte
