# No run may cost one of our datasets more than half of the ε that its contract grants for all runs, nor more than
# 0.5 at all, and only the model leaves.
package depa.rules

import rego.v1

default allow := false

allow if not half_exceeded

half_exceeded if {
	some used in input.datasets
	used.own
	used.epsilon_micro + used.epsilon_micro > used.contract_epsilon_micro
}

deny contains "MORE_THAN_HALF_OF_THE_CONTRACT" if half_exceeded

obligations := {
	"epsilon_max": "0.5",
	"output_policy": "model_without_metrics",
}
