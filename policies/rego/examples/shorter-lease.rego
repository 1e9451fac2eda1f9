# Keys live ten seconds between two renewals, so that a revocation bites sooner; simulated evidence opens nothing.
package depa.rules

import rego.v1

default allow := false

allow if input.evidence.assurance == "hardware"

deny contains "HARDWARE_ONLY" if input.evidence.assurance != "hardware"

obligations := {"lease_s": 10}
