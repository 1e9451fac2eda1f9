# Only these consumers. Replace the identifiers by those of your agreements.
package depa.rules

import rego.v1

consumers := {
	"did:web:tdc.example",
	"did:web:university.example",
}

default allow := false

allow if input.tdc in consumers

deny contains "CONSUMER_NOT_LISTED" if not input.tdc in consumers
