# Crossings of clocks (hw/rtl/prim/cross_flops.sv), for a design that has display_unit in it; its clocks are those of the design.
#
# From a launch register to a capture register nothing is asked but that the bits of a word come close together: within a cycle of the faster clock, 5 ns for
# a bus at 200 MHz. Gray code then shows at most one change, and a word that crosses by a handshake stands still two cycles before it is taken.
# The sources have the FDRE cells behind DIFFUSER_FDRE; without it the registers are named launch_q and capture_q. Not run yet.
set launch [get_cells -hierarchical -regexp {.*(u_launch|launch_q.*)} -filter {PRIMITIVE_GROUP == REGISTER}]
set capture [get_cells -hierarchical -regexp {.*(u_capture|capture_q.*)} -filter {PRIMITIVE_GROUP == REGISTER && ASYNC_REG}]
set_max_delay -datapath_only -from $launch -to $capture 5.000
