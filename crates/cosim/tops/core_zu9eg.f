// only by name: minutes of C++
--top-module diffuser_core -GTarget=1
--flatten crates/cosim/tops/memories.vlt
