//! Bodies of each kind: the least that clients may send, and all that the service knows.

use super::*;
use crate::request::samples::Sampled;

macro_rules! sampled {
    ($($kind:ty => $samples:expr;)*) => {$(
        impl Sampled for $kind {
            fn samples() -> Vec<Self> {
                $samples
            }

            fn read_back(body: &[u8]) -> Result<Self, String> {
                let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
                Self::parse(&body).map_err(|malformed| malformed.to_string())
            }
        }
    )*};
}

fn secret() -> Secret {
    Secret("s3cret".to_owned())
}

fn domains() -> [DomainRef; 2] {
    [
        DomainRef::Id("default".to_owned()),
        DomainRef::Name("Default".to_owned()),
    ]
}

fn named() -> Vec<NamedRef> {
    let names = domains().map(|domain| NamedRef::Name {
        name: "alice".to_owned(),
        domain,
    });
    std::iter::once(NamedRef::Id("u".to_owned()))
        .chain(names)
        .collect()
}

fn sign_ins() -> Vec<AuthRequest> {
    let mut methods = vec![AuthMethod::Token(secret())];
    methods.extend(named().into_iter().map(|user| AuthMethod::Password {
        user,
        password: secret(),
    }));
    let by_name = named().into_iter().map(|user| AppCredentialRef::Name {
        name: "backups".to_owned(),
        user,
    });
    let credentials = std::iter::once(AppCredentialRef::Id("c".to_owned())).chain(by_name);
    methods.extend(credentials.map(|credential| AuthMethod::AppCredential {
        credential,
        secret: secret(),
    }));
    let mut scopes = vec![
        ScopeRequest::Default,
        ScopeRequest::Unscoped,
        ScopeRequest::System,
    ];
    scopes.extend(named().into_iter().map(ScopeRequest::Project));
    scopes.extend(domains().map(ScopeRequest::Domain));
    let each = methods.into_iter().flat_map(|method| {
        scopes.clone().into_iter().map(move |scope| AuthRequest {
            methods: vec![method.clone()],
            scope,
        })
    });
    each.collect()
}

sampled! {
    AuthRequest => sign_ins();
    UserCreate => [None, Some("p".to_owned())]
        .into_iter()
        .map(|default_project_id| UserCreate {
            name: "bob".to_owned(),
            password: secret(),
            enabled: default_project_id.is_some(),
            default_project_id,
        })
        .collect();
    ProjectCreate => vec![ProjectCreate {
        name: "beta".to_owned(),
        description: "the second".to_owned(),
        enabled: true,
    }];
}
