// exhaustive or random inputs, one a cycle
