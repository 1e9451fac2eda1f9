// The wheel holds gloo inside libtorch_cpu.so but not its headers. libtorch's own header of the back end names a few of
// gloo's classes; these files declare what it names. Nothing here is instantiated, laid out or called by the shim.
#pragma once
