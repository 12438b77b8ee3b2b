# 200 MHz, the clock that is aimed at; out of context, what stands at the ports is clocked by it too.
create_clock -name clk -period 5.000 [get_ports clk_i]
set_property HD.CLK_SRC BUFGCE_X0Y0 [get_ports clk_i]
set_input_delay -clock clk 1.5 [get_ports -filter {DIRECTION == IN && NAME != clk_i}]
set_output_delay -clock clk 1.5 [get_ports -filter {DIRECTION == OUT}]
