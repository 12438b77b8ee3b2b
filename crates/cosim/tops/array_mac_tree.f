// four cascades to a sum
--top-module mac_array -GP=2 -GO=4 -GI=32
