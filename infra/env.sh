# To be sourced (POSIX sh) by scripts in infra/, with the repository's root as working folder:
# puts a cargo that is new enough first on PATH. Where libtorch lies is said by .cargo/config.toml.
# Nothing else is set on purpose: another LIBTORCH or CXXFLAGS than a plain `cargo` call has would build torch-sys anew.

# The oldest Rust that the crates of Cargo.lock accept.
DEPA_MIN_RUST=1.95

# True if the cargo and the rustc of folder $1 (empty: of PATH) both have at least the wanted version.
depa_rust_is_new_enough() {
    for depa_tool in cargo rustc; do
        depa_version=$("${1:+$1/}$depa_tool" --version 2>/dev/null) || return 1
        depa_version=${depa_version#"$depa_tool" }
        depa_major=${depa_version%%.*}
        depa_minor=${depa_version#*.}
        depa_minor=${depa_minor%%.*}
        case "$depa_major$depa_minor" in '' | *[!0-9]*) return 1 ;; esac
        [ "$depa_major" -gt "${DEPA_MIN_RUST%%.*}" ] || [ "$depa_major" -eq "${DEPA_MIN_RUST%%.*}" ] || return 1
        [ "$depa_major" -gt "${DEPA_MIN_RUST%%.*}" ] || [ "$depa_minor" -ge "${DEPA_MIN_RUST#*.}" ] || return 1
    done
}

# Puts the first good toolchain on PATH: the one already there, a rustup of this user, Debian's.
depa_use_rust() {
    depa_rust_is_new_enough "" && return 0
    for depa_folder in "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" /usr/bin; do
        if depa_rust_is_new_enough "$depa_folder"; then
            PATH="$depa_folder:$PATH"
            export PATH
            return 0
        fi
    done
    return 1
}

depa_use_rust || :
