// parameters of the top; the module is the one of this name
-GWide=100
