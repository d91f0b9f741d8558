//! Choices that are typed as a word.

use clap::ValueEnum;

use crate::backend::cpu::Instructions;
use crate::model::BackendKind;
use crate::sandbox::{Mode, Permission};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PermissionName {
    /// Changes of files and commands
    Ask,
    /// Commands
    AcceptEdits,
    /// Nothing: only what reads is done
    Plan,
}

impl From<PermissionName> for Permission {
    fn from(name: PermissionName) -> Self {
        match name {
            PermissionName::Ask => Self::Ask,
            PermissionName::AcceptEdits => Self::AcceptEdits,
            PermissionName::Plan => Self::Plan,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Nothing but private temporary files is written
    ReadOnly,
    /// The workspace is written, but for what other programs run by
    #[default]
    WorkspaceWrite,
    /// No confinement at all
    Danger,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::ReadOnly => Self::ReadOnly,
            ModeName::WorkspaceWrite => Self::WorkspaceWrite,
            ModeName::Danger => Self::Danger,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Cpu,
    Mlx,
}

impl BackendName {
    /// The backend that was asked for, or the default.
    pub fn chosen(asked: Option<Self>) -> BackendKind {
        Self::asked(asked).unwrap_or_default()
    }

    /// The backend that was asked for.
    pub fn asked(asked: Option<Self>) -> Option<BackendKind> {
        asked.map(|name| match name {
            Self::Cpu => BackendKind::Cpu,
            Self::Mlx => BackendKind::Mlx,
        })
    }
}

/// Levels of vector instructions, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InstructionsName {
    Portable,
    Neon,
    Avx2,
    Avx512,
    Amx,
}

impl From<InstructionsName> for Instructions {
    fn from(name: InstructionsName) -> Self {
        match name {
            InstructionsName::Portable => Self::Portable,
            InstructionsName::Neon => Self::Neon,
            InstructionsName::Avx2 => Self::Avx2,
            InstructionsName::Avx512 => Self::Avx512,
            InstructionsName::Amx => Self::Amx,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Jsonl,
}
