//! etcd's service Auth: who users are, and what they may do.
//!
//! Changes are commands like any other, decided when they are applied; what is asked is read from the newest state.
//! Authenticating writes nothing: the member that is asked checks the password and signs a token, which every member
//! understands.

use keelson_proto::etcd::{
    auth::{self as proto, permission::Type},
    rpc::{
        AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse, AuthRoleAddRequest,
        AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse, AuthRoleGetRequest,
        AuthRoleGetResponse, AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse,
        AuthRoleListRequest, AuthRoleListResponse, AuthRoleRevokePermissionRequest,
        AuthRoleRevokePermissionResponse, AuthStatusRequest, AuthStatusResponse, AuthUserAddRequest,
        AuthUserAddResponse, AuthUserChangePasswordRequest, AuthUserChangePasswordResponse,
        AuthUserDeleteRequest, AuthUserDeleteResponse, AuthUserGetRequest, AuthUserGetResponse,
        AuthUserGrantRoleRequest, AuthUserGrantRoleResponse, AuthUserListRequest, AuthUserListResponse,
        AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse, AuthenticateRequest, AuthenticateResponse,
        ResponseHeader, auth_server::Auth,
    },
};
use keelson_store_core::command::{
    Access, AuthCommand, AuthError, Caller, Command, PasswordHash, Permission, PermissionRange, ROOT,
    TokenKey,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tonic::{Request, Response, Status};

use super::{
    Front, error,
    identity::{Credentials, Denied},
};
use crate::{state::StateView, store::Consistency};

mod jwt;
mod password;
mod tokens;

pub(super) use jwt::Jwt;
pub use jwt::{JwtError, JwtMethod, JwtOptions};
pub(super) use password::Passwords;
pub(super) use tokens::Tokens;

/// Answers a call that changes something.
macro_rules! changes {
    ($front:ident, $request:ident, $reply:ident, $command:expr) => {{
        let (who, asked) = Credentials::split($request);
        let header = $front.change(&who, $command(asked)).await?;
        Ok(Response::new($reply { header: Some(header) }))
    }};
}

#[tonic::async_trait]
impl Auth for Front {
    async fn auth_enable(
        &self,
        request: Request<AuthEnableRequest>,
    ) -> Result<Response<AuthEnableResponse>, Status> {
        changes!(self, request, AuthEnableResponse, |_| AuthCommand::Enable)
    }

    async fn auth_disable(
        &self,
        request: Request<AuthDisableRequest>,
    ) -> Result<Response<AuthDisableResponse>, Status> {
        changes!(self, request, AuthDisableResponse, |_| AuthCommand::Disable)
    }

    /// As in etcd: everybody may ask.
    async fn auth_status(
        &self,
        _request: Request<AuthStatusRequest>,
    ) -> Result<Response<AuthStatusResponse>, Status> {
        let view = self.store.view(Consistency::Linearizable).await.map_err(error::read)?;
        Ok(Response::new(AuthStatusResponse {
            header: Some(self.header(view.header().revision)),
            enabled: view.auth().is_enabled(),
            auth_revision: view.auth().revision().get(),
        }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        let AuthenticateRequest { name, password } = request.into_inner();
        let view = self.store.view(Consistency::Linearizable).await.map_err(error::read)?;
        if !view.auth().is_enabled() {
            return Err(error::auth(AuthError::NotEnabled));
        }
        let user = view.auth().user(&name);
        if user.is_some_and(|user| user.password().is_none()) {
            return Err(error::auth(AuthError::NoPasswordUser));
        }
        let known = user.and_then(|user| user.password()).cloned();
        self.passwords.check(password, known.as_ref()).await.inspect_err(|_| {
            tracing::warn!(user = name, "an authentication failed");
        })?;
        let view = self.with_token_key(view).await?;
        let token = self
            .tokens
            .make(view.auth(), &name)
            .ok_or_else(|| Status::unknown("auth: token signing attempted with verify-only key"))?;
        let header = Some(self.header(view.header().revision));
        Ok(Response::new(AuthenticateResponse { header, token }))
    }

    async fn user_add(
        &self,
        request: Request<AuthUserAddRequest>,
    ) -> Result<Response<AuthUserAddResponse>, Status> {
        let (who, asked) = Credentials::split(request);
        let AuthUserAddRequest { name, password, options, hashed_password } = asked;
        self.require_root(&who).await?;
        let password = match options.is_some_and(|options| options.no_password) {
            true => None,
            false if password.is_empty() && !hashed_password.is_empty() => {
                Some(given_hash(&hashed_password)?)
            }
            false => Some(self.passwords.hash(password).await?),
        };
        let header = self.change(&who, AuthCommand::UserAdd { name, password }).await?;
        Ok(Response::new(AuthUserAddResponse { header: Some(header) }))
    }

    /// As in etcd: a user may ask for itself.
    async fn user_get(
        &self,
        request: Request<AuthUserGetRequest>,
    ) -> Result<Response<AuthUserGetResponse>, Status> {
        let (who, AuthUserGetRequest { name: wanted }) = Credentials::split(request);
        let view = self.view(&who, Consistency::Linearizable, |caller, view| match caller {
            Caller::User { name, .. } if *name == wanted => Ok(()),
            caller => Ok(view.auth().check_root(caller)?),
        });
        let view = view.await?;
        let user = view.auth().user(&wanted).ok_or_else(|| error::auth(AuthError::UserNotFound))?;
        let roles = user.roles().map(ToOwned::to_owned).collect();
        Ok(Response::new(AuthUserGetResponse { header: Some(self.header_of(&view)), roles }))
    }

    async fn user_list(
        &self,
        request: Request<AuthUserListRequest>,
    ) -> Result<Response<AuthUserListResponse>, Status> {
        let view = self.view_for_root(request).await?;
        let users = view.auth().users().map(ToOwned::to_owned).collect();
        Ok(Response::new(AuthUserListResponse { header: Some(self.header_of(&view)), users }))
    }

    async fn user_delete(
        &self,
        request: Request<AuthUserDeleteRequest>,
    ) -> Result<Response<AuthUserDeleteResponse>, Status> {
        changes!(self, request, AuthUserDeleteResponse, |asked: AuthUserDeleteRequest| {
            AuthCommand::UserDelete(asked.name)
        })
    }

    async fn user_change_password(
        &self,
        request: Request<AuthUserChangePasswordRequest>,
    ) -> Result<Response<AuthUserChangePasswordResponse>, Status> {
        let (who, asked) = Credentials::split(request);
        let AuthUserChangePasswordRequest { name, password, hashed_password } = asked;
        self.require_root(&who).await?;
        let password = match password.is_empty() {
            true => given_hash(&hashed_password)?,
            false => self.passwords.hash(password).await?,
        };
        let header = self.change(&who, AuthCommand::UserChangePassword { name, password }).await?;
        Ok(Response::new(AuthUserChangePasswordResponse { header: Some(header) }))
    }

    async fn user_grant_role(
        &self,
        request: Request<AuthUserGrantRoleRequest>,
    ) -> Result<Response<AuthUserGrantRoleResponse>, Status> {
        changes!(self, request, AuthUserGrantRoleResponse, |asked: AuthUserGrantRoleRequest| {
            AuthCommand::UserGrantRole { user: asked.user, role: asked.role }
        })
    }

    async fn user_revoke_role(
        &self,
        request: Request<AuthUserRevokeRoleRequest>,
    ) -> Result<Response<AuthUserRevokeRoleResponse>, Status> {
        changes!(self, request, AuthUserRevokeRoleResponse, |asked: AuthUserRevokeRoleRequest| {
            AuthCommand::UserRevokeRole { user: asked.name, role: asked.role }
        })
    }

    async fn role_add(
        &self,
        request: Request<AuthRoleAddRequest>,
    ) -> Result<Response<AuthRoleAddResponse>, Status> {
        changes!(self, request, AuthRoleAddResponse, |asked: AuthRoleAddRequest| {
            AuthCommand::RoleAdd(asked.name)
        })
    }

    /// As in etcd: whoever has a role may ask for it.
    async fn role_get(
        &self,
        request: Request<AuthRoleGetRequest>,
    ) -> Result<Response<AuthRoleGetResponse>, Status> {
        let (who, AuthRoleGetRequest { role: wanted }) = Credentials::split(request);
        let view = self.view(&who, Consistency::Linearizable, |caller, view| match caller {
            Caller::User { name, .. }
                if view.auth().user(name).is_some_and(|user| user.has_role(&wanted)) =>
            {
                Ok(())
            }
            caller => Ok(view.auth().check_root(caller)?),
        });
        let view = view.await?;
        let role = view.auth().role(&wanted).ok_or_else(|| error::auth(AuthError::RoleNotFound))?;
        let perm = match wanted == ROOT {
            true => vec![proto::Permission {
                perm_type: Type::Readwrite.into(),
                key: Default::default(),
                range_end: "\0".into(),
            }],
            false => role.permissions().map(permission).collect(),
        };
        Ok(Response::new(AuthRoleGetResponse { header: Some(self.header_of(&view)), perm }))
    }

    async fn role_list(
        &self,
        request: Request<AuthRoleListRequest>,
    ) -> Result<Response<AuthRoleListResponse>, Status> {
        let view = self.view_for_root(request).await?;
        let roles = view.auth().roles().map(ToOwned::to_owned).collect();
        Ok(Response::new(AuthRoleListResponse { header: Some(self.header_of(&view)), roles }))
    }

    async fn role_delete(
        &self,
        request: Request<AuthRoleDeleteRequest>,
    ) -> Result<Response<AuthRoleDeleteResponse>, Status> {
        changes!(self, request, AuthRoleDeleteResponse, |asked: AuthRoleDeleteRequest| {
            AuthCommand::RoleDelete(asked.role)
        })
    }

    async fn role_grant_permission(
        &self,
        request: Request<AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<AuthRoleGrantPermissionResponse>, Status> {
        let (who, asked) = Credentials::split(request);
        let perm = asked.perm.ok_or_else(|| error::auth(AuthError::PermissionNotGiven))?;
        let access = match perm.perm_type() {
            Type::Read => Access::Read,
            Type::Write => Access::Write,
            Type::Readwrite => Access::ReadWrite,
        };
        let range = PermissionRange { key: perm.key, range_end: perm.range_end };
        let permission = Permission { range, access };
        let command = AuthCommand::RoleGrantPermission { role: asked.name, permission };
        let header = self.change(&who, command).await?;
        Ok(Response::new(AuthRoleGrantPermissionResponse { header: Some(header) }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<AuthRoleRevokePermissionResponse>, Status> {
        changes!(self, request, AuthRoleRevokePermissionResponse, |asked: AuthRoleRevokePermissionRequest| {
            let range = PermissionRange { key: asked.key, range_end: asked.range_end };
            AuthCommand::RoleRevokePermission { role: asked.role, range }
        })
    }
}

impl Front {
    async fn change(&self, who: &Credentials, command: AuthCommand) -> Result<ResponseHeader, Status> {
        let changed = self.propose(who, &Command::Auth(command)).await?;
        Ok(self.header(changed.revision))
    }

    async fn view_for_root<T>(&self, request: Request<T>) -> Result<StateView, Status> {
        let (who, _) = Credentials::split(request);
        let may = |caller: &Caller, view: &StateView| view.auth().check_root(caller).map_err(Denied::from);
        self.view(&who, Consistency::Linearizable, may).await
    }

    fn header_of(&self, view: &StateView) -> ResponseHeader {
        self.header(view.header().revision)
    }

    /// The state with a key for tokens. The first who needs one draws it.
    async fn with_token_key(&self, view: StateView) -> Result<StateView, Status> {
        if !self.tokens.need_key() || view.auth().token_key().is_some() {
            return Ok(view);
        }
        let mut drawn = [0; 32];
        let drawing = SystemRandom::new().fill(&mut drawn);
        drawing.map_err(|_| Status::internal("etcdserver: the system has no randomness"))?;
        let command = Command::Auth(AuthCommand::SetTokenKey(TokenKey::new(drawn)));
        self.store.propose(&Caller::System, &command).await.map_err(error::write)?;
        self.store.view(Consistency::Linearizable).await.map_err(error::read)
    }
}

/// A hash that was made elsewhere, as etcd's requests carry it.
fn given_hash(encoded: &str) -> Result<PasswordHash, Status> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let hash = STANDARD.decode(encoded).ok().and_then(|hash| String::from_utf8(hash).ok());
    hash.map(PasswordHash::new).ok_or_else(|| error::auth(AuthError::NoPasswordUser))
}

fn permission((range, access): (&PermissionRange, Access)) -> proto::Permission {
    let perm_type = match access {
        Access::Read => Type::Read,
        Access::Write => Type::Write,
        Access::ReadWrite => Type::Readwrite,
    };
    proto::Permission {
        perm_type: perm_type.into(),
        key: range.key.clone(),
        range_end: range.range_end.clone(),
    }
}
