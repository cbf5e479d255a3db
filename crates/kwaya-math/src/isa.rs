//! Which instructions the kernels are compiled for, chosen at run time.
//!
//! Every kernel is compiled several times. The compiler and the widths of
//! vectors may differ, the order of a sum and the roundings may not, so all
//! versions give the same bits. `KWAYA_ISA` forces one; the tests run under
//! each that the machine has, and `KWAYA_ISA_REQUIRE` names those without
//! which they fail.

use std::sync::OnceLock;

/// An instruction set that kernels are compiled for, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and its products of bfloat16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX2, FMA and F16C, which came together.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AArch64, all of which has NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Anything: a slow but equal emulation where there is no fused
    /// multiply-add.
    Portable,
}

impl Isa {
    const ALL: &[Self] = &[
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Bf16,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
        Self::Portable,
    ];

    /// Whether this machine has it.
    pub(crate) fn present(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        use std::arch::is_x86_feature_detected as has;
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512.present() && has!("avx512bf16") && crate::vector::dot_is_as_specified(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                let wide = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
                Self::Avx2.present() && wide
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has!("avx2") && has!("fma") && has!("f16c"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Portable => true,
        }
    }

    /// As `KWAYA_ISA` spells it.
    fn label(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => "avx512bf16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

/// `KWAYA_ISA` names what this machine does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsaError {
    /// What was asked for.
    pub asked: String,
    /// What there is, best first.
    pub present: Vec<&'static str>,
}

impl std::fmt::Display for IsaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KWAYA_ISA={}: this machine has {}", self.asked, self.present.join(", "))
    }
}

impl std::error::Error for IsaError {}

fn chosen() -> &'static Result<Isa, IsaError> {
    static CHOSEN: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
    CHOSEN.get_or_init(|| choose(std::env::var("KWAYA_ISA").ok().as_deref()))
}

fn choose(asked: Option<&str>) -> Result<Isa, IsaError> {
    let mut present = Isa::ALL.iter().copied().filter(|isa| isa.present());
    let asked = asked.unwrap_or_default();
    let found = present.find(|isa| asked.is_empty() || isa.label() == asked);
    found.ok_or_else(|| IsaError { asked: asked.to_owned(), present: isas() })
}

/// The instruction set in use.
///
/// # Panics
/// When `KWAYA_ISA` names one that this machine does not have: a wrong
/// request must not pass for a right one. [`check_isa`] tells beforehand.
#[inline]
pub(crate) fn current() -> Isa {
    match chosen() {
        Ok(isa) => *isa,
        Err(error) => panic!("{error}"),
    }
}

/// The name of the instruction set in use, as `KWAYA_ISA` spells it.
///
/// # Panics
/// Where [`check_isa`] gives an error.
pub fn isa() -> &'static str {
    current().label()
}

/// To be asked before anything is computed.
///
/// # Errors
/// When `KWAYA_ISA` names an instruction set that this machine does not have.
pub fn check_isa() -> Result<(), IsaError> {
    chosen().clone().map(drop)
}

/// The names of all instruction sets that this machine has, best first.
pub fn isas() -> Vec<&'static str> {
    Isa::ALL.iter().copied().filter(|isa| isa.present()).map(Isa::label).collect()
}

/// Compiles a function for each instruction set and chooses at each call.
/// The body must be plain Rust; every function it calls must be
/// `#[inline(always)]`, or it would stay outside the vectorised version.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match $crate::isa::current() {
                    // SAFETY: `current` found these instructions on this machine.
                    $crate::isa::Isa::Avx512Bf16 | $crate::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::isa::Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_request_is_refused_with_what_there_is() {
        let error = choose(Some("avx1024")).unwrap_err();
        assert_eq!(error.to_string(), format!("KWAYA_ISA=avx1024: this machine has {}", isas().join(", ")));
        assert_eq!(choose(Some("portable")), Ok(Isa::Portable));
        assert_eq!(choose(Some("")), choose(None));
        assert_eq!(isas().last(), Some(&"portable"));
    }

    /// So that a green run proves which paths ran.
    #[test]
    fn what_is_required_is_present() {
        let required = std::env::var("KWAYA_ISA_REQUIRE").unwrap_or_default();
        for name in required.split(',').filter(|name| !name.is_empty()) {
            assert!(isas().contains(&name), "KWAYA_ISA_REQUIRE names {name}: this machine has {}", isas().join(", "));
        }
    }
}
