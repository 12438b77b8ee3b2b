# Synthesis, placement and routing of diffuser_core for the ZU9EG, without a project:
#
#     vivado -mode batch -source hw/vivado/build.tcl [-tclargs FOLDER]
#
# Reports and checkpoints go to FOLDER (target/vivado). The core is built out of context: no pins, no processing system around it.
# This script has not been run yet, for want of Vivado; no clock is claimed until it has.

set root [file normalize [file join [file dirname [info script]] .. ..]]
set output [expr {[llength $argv] > 0 ? [lindex $argv 0] : [file join $root target vivado]}]
set part xczu9eg-ffvb1156-2-i
set top diffuser_core
set period 5.000

file mkdir $output
create_project -in_memory -part $part

# packages first, those that others import in front of them
foreach package {diffuser_isa diffuser target array control dma norm sample} {
  read_verilog -sv [file join $root hw rtl pkg ${package}_pkg.sv]
}
foreach folder {prim control dma norm prep array sample top} {
  foreach file [lsort [glob [file join $root hw rtl $folder *.sv]]] {
    read_verilog -sv $file
  }
}
read_xdc -mode out_of_context [file join $root hw vivado core.xdc]

# Target 1 of target_pkg is the ZU9EG; the sources have the DSP48E2 (Primitive) and RAMB36E2 cells behind these macros
synth_design -top $top -part $part -mode out_of_context -flatten_hierarchy rebuilt -retiming \
  -generic Target=1 -generic Primitive=1'b1 -verilog_define DIFFUSER_DSP48E2 -verilog_define DIFFUSER_RAMB36E2
write_checkpoint -force [file join $output synthesised.dcp]
report_utilization -hierarchical -file [file join $output utilization_synthesis.rpt]
report_timing_summary -file [file join $output timing_synthesis.rpt]

opt_design
place_design -directive ExtraNetDelay_high
phys_opt_design -directive AggressiveExplore
route_design -directive AggressiveExplore
phys_opt_design -directive AggressiveExplore

write_checkpoint -force [file join $output routed.dcp]
report_utilization -hierarchical -file [file join $output utilization.rpt]
report_ram_utilization -file [file join $output rams.rpt]
report_timing_summary -max_paths 50 -report_unconstrained -file [file join $output timing.rpt]
report_design_analysis -logic_level_distribution -file [file join $output levels.rpt]
report_high_fanout_nets -max_nets 50 -file [file join $output fanout.rpt]
report_methodology -file [file join $output methodology.rpt]
report_drc -file [file join $output drc.rpt]
report_power -file [file join $output power.rpt]

set slack [get_property SLACK [get_timing_paths -max_paths 1 -nworst 1 -setup]]
puts "worst setup slack at $period ns: $slack ns"
if {$slack < 0} {
  puts "timing is not met"
  exit 1
}
