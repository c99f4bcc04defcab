module a
require (
 b.org/c v1.0.0 // x
)
replace b.org/c => d.org/e v1.0.1
