# Only on working days between 8 and 18 o'clock, while somebody is there to stop a run. The clock is the key service's
# own, moved by its setting `utc_offset_minutes`; there is no daylight saving in it.
package depa.rules

import rego.v1

default allow := false

allow if {
	working_day
	working_hour
}

working_day if not input.local.weekday in {"sat", "sun"}

working_hour if {
	input.local.hour >= 8
	input.local.hour < 18
}

deny contains "NOT_A_WORKING_DAY" if not working_day

deny contains "OUTSIDE_HOURS" if not working_hour
