//! Which kubeconfig is read; and why it cannot be: the file, who named it, and the contexts that it has.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::ClusterError;

/// Reads the configuration: of the file that is named, else as kubectl does, else that of the pod that this runs in.
pub(super) async fn read(context: Option<&str>, file: Option<&Path>) -> Result<Config, ClusterError> {
    if context.is_none()
        && file.is_none()
        && let Ok(config) = Config::infer().await
    {
        return Ok(config);
    }
    let variable = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    let origin = Origin::of(file, variable.as_deref());
    let read = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = read.map_err(|error| origin.unread(error))?;
    let contexts: Vec<String> = kubeconfig.contexts.iter().map(|one| one.name.clone()).collect();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| origin.unfit(context, &contexts, error))
}

/// Where the name of the file is from.
enum Origin {
    Flag(PathBuf),
    /// `KUBECONFIG`, which may name several.
    Variable(String),
    Home,
}

impl Origin {
    fn of(flag: Option<&Path>, variable: Option<&OsStr>) -> Self {
        match (flag, variable) {
            (Some(file), _) => Self::Flag(file.to_owned()),
            (None, Some(files)) => Self::Variable(files.to_string_lossy().into_owned()),
            (None, None) => Self::Home,
        }
    }

    /// The file, for messages.
    fn shown(&self) -> String {
        match self {
            Self::Flag(file) => file.display().to_string(),
            Self::Variable(files) => files.clone(),
            Self::Home => "~/.kube/config".to_owned(),
        }
    }

    /// Why the file cannot be read.
    fn unread(&self, error: KubeconfigError) -> ClusterError {
        ClusterError::NoConfig(match (error, self) {
            (KubeconfigError::ReadConfig(error, _), Self::Home) if error.kind() == ErrorKind::NotFound => {
                "no kubeconfig: ~/.kube/config is not there, and this is no pod".to_owned()
            }
            (KubeconfigError::FindPath, _) => "no kubeconfig: there is no home folder to look in, and this is no pod".to_owned(),
            (KubeconfigError::ReadConfig(error, file), origin) => {
                let named = match origin {
                    Self::Flag(_) => " (--kubeconfig)",
                    Self::Variable(_) => " (KUBECONFIG)",
                    Self::Home => "",
                };
                format!("cannot read the kubeconfig {}{named}: {error}", file.display())
            }
            (error, origin) => format!("the kubeconfig {}: {error}", origin.shown()),
        })
    }

    /// Why nothing can be made of what it says.
    fn unfit(&self, context: Option<&str>, contexts: &[String], error: KubeconfigError) -> ClusterError {
        let known = match contexts {
            [] => "has no contexts".to_owned(),
            contexts => format!("has the contexts {}", contexts.join(", ")),
        };
        let file = self.shown();
        match (error, context) {
            (KubeconfigError::LoadContext(_), Some(context)) => {
                ClusterError::NoContext(format!("--context {context}: the kubeconfig {file} {known}"))
            }
            (KubeconfigError::LoadContext(current), None) => {
                ClusterError::NoContext(format!("current-context {current}: the kubeconfig {file} {known}; choose by --context"))
            }
            (KubeconfigError::CurrentContextNotSet, _) => {
                ClusterError::NoConfig(format!("the kubeconfig {file} has no current-context, and {known}"))
            }
            (error, _) => ClusterError::NoConfig(format!("the kubeconfig {file}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> KubeconfigError {
        KubeconfigError::ReadConfig(ErrorKind::NotFound.into(), PathBuf::from("/nope"))
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_who_named_it() {
        for (flag, variable, error, words) in [
            (Some("/nope"), Some("/other"), missing(), "cannot read the kubeconfig /nope (--kubeconfig): "),
            (None, Some("/x:/nope"), missing(), "cannot read the kubeconfig /nope (KUBECONFIG): "),
            (None, None, missing(), "no kubeconfig: ~/.kube/config is not there, and this is no pod;"),
            (None, None, KubeconfigError::FindPath, "no kubeconfig: there is no home folder"),
            (Some("/f"), None, KubeconfigError::KindMismatch, "the kubeconfig /f: kubeconfigs with mismatching kind"),
        ] {
            let said = Origin::of(flag.map(Path::new), variable.map(OsStr::new)).unread(error).to_string();
            assert!(said.starts_with(&format!("no cluster to talk to: {words}")), "{said}");
            assert!(!said.contains("in-cluster") && said.contains("set KUBECONFIG or --kubeconfig"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_context_that_is_not_there_is_answered_with_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let context = |name: &str| format!("{{name: {name}, context: {{cluster: here}}}}");
        let config = |current: &str, contexts: &str| {
            format!(
                "apiVersion: v1\nkind: Config\n{current}contexts: [{contexts}]\n\
                 clusters: [{{name: here, cluster: {{server: 'http://127.0.0.1:1'}}}}]\n"
            )
        };
        let both = format!("{}, {}", context("a"), context("b"));
        let shown = file.display();
        for (text, asked, words) in [
            (config("", &both), Some("nope"), format!("--context nope: the kubeconfig {shown} has the contexts a, b")),
            (config("", ""), Some("nope"), format!("--context nope: the kubeconfig {shown} has no contexts")),
            (
                config("current-context: c\n", &both),
                None,
                format!("current-context c: the kubeconfig {shown} has the contexts a, b"),
            ),
            (
                config("", &both),
                None,
                format!("no cluster to talk to: the kubeconfig {shown} has no current-context, and has the"),
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = read(asked, Some(&file)).await.unwrap_err().to_string();
            assert!(said.starts_with(&words), "{said}");
        }
        assert!(read(Some("b"), Some(&file)).await.is_ok());
    }
}
