//! The handlers of each kind, described.

use super::resource::{NumberResource, TenantResource, TrunkResource, UserResource};
use crate::http::Api;
use crate::http::auth::Caller;
use crate::http::path::Named;
use crate::http::problem::Problem;
use crate::http::query::{Names, OfTenant, Params};
use crate::http::resource::List;
use crate::registry::Kind;
use axum::extract::{Request, State};
use axum::response::Response;

/// The handlers of one kind: its module, its path and that of one, its words, what is shown of it, what is sent for it, the
/// pattern of its names, and its own problems.
macro_rules! handlers {
    (
        $module:ident, $kind:expr, $all:literal, $one:literal, $parameter:literal, $tag:literal,
        ids: [$list:literal, $create:literal, $get:literal, $change:literal, $delete:literal],
        shown: $Shown:ty, sent: [$new:literal, $other:literal], pattern: $pattern:literal,
        problems: [$missing:literal, $exists:literal $(, $more:literal)*],
    ) => {
        pub(in crate::http) mod $module {
            use super::*;

            /// Those that the caller may see, by name.
            #[utoipa::path(
                get, path = $all, operation_id = $list, tag = $tag,
                params(Names, OfTenant),
                responses((status = 200, description = "A page of them.", body = List<$Shown>)),
                extensions(("x-problems" = json!(["tenant_not_found", "invalid_cursor"]))),
            )]
            pub(in crate::http) async fn list(
                State(app): Api,
                caller: Caller,
                params: Params,
            ) -> Result<Response, Problem> {
                crate::http::provision::list($kind, app, caller, params).await
            }

            /// Makes one; it is in force when this is answered.
            #[utoipa::path(
                post, path = $all, operation_id = $create, tag = $tag,
                params(OfTenant),
                request_body(content = ref($new)),
                responses((status = 201, description = "It is made.", body = $Shown)),
                extensions(("x-problems" = json!([
                    "unknown_parameter", "invalid_parameter", "tenant_not_found", "too_many", "secrets_unavailable",
                    "overloaded", "draining", $exists $(, $more)*
                ]))),
            )]
            pub(in crate::http) async fn create(
                State(app): Api,
                caller: Caller,
                params: Params,
                request: Request,
            ) -> Result<Response, Problem> {
                crate::http::provision::create($kind, app, caller, params, request).await
            }

            /// Shows one.
            #[utoipa::path(
                get, path = $one, operation_id = $get, tag = $tag,
                params(($parameter = String, Path, description = "Its name.", pattern = $pattern), OfTenant),
                responses((status = 200, description = "It.", body = $Shown)),
                extensions(("x-problems" = json!([$missing, "tenant_not_found"]))),
            )]
            pub(in crate::http) async fn get(
                State(app): Api,
                caller: Caller,
                Named(name): Named,
                params: Params,
            ) -> Result<Response, Problem> {
                crate::http::provision::get($kind, app, caller, name, params).await
            }

            /// Changes what is given of one; null is as good as never said. Live calls are not touched.
            #[utoipa::path(
                post, path = $one, operation_id = $change, tag = $tag,
                params(($parameter = String, Path, description = "Its name.", pattern = $pattern), OfTenant),
                request_body(content = ref($other)),
                responses((status = 200, description = "It, as it is now.", body = $Shown)),
                extensions(("x-problems" = json!([
                    "unknown_parameter", "invalid_parameter", "tenant_not_found", "managed_by_file",
                    "secrets_unavailable", "overloaded", "draining", $missing $(, $more)*
                ]))),
            )]
            pub(in crate::http) async fn change(
                State(app): Api,
                caller: Caller,
                Named(name): Named,
                params: Params,
                request: Request,
            ) -> Result<Response, Problem> {
                crate::http::provision::change($kind, app, caller, name, params, request).await
            }

            /// Deletes one. Live calls are not touched.
            #[utoipa::path(
                delete, path = $one, operation_id = $delete, tag = $tag,
                params(($parameter = String, Path, description = "Its name.", pattern = $pattern), OfTenant),
                responses((status = 204, description = "It is deleted.")),
                extensions(("x-problems" = json!([
                    "tenant_not_found", "managed_by_file", "overloaded", "draining", $missing $(, $more)*
                ]))),
            )]
            pub(in crate::http) async fn delete(
                State(app): Api,
                caller: Caller,
                Named(name): Named,
                params: Params,
            ) -> Result<Response, Problem> {
                crate::http::provision::delete($kind, app, caller, name, params).await
            }
        }
    };
}

handlers!(
    tenants, Kind::Tenant, "/tenants", "/tenants/{name}", "name", "tenants",
    ids: ["list_tenants", "create_tenant", "get_tenant", "change_tenant", "delete_tenant"],
    shown: TenantResource,
    sent: ["#/components/schemas/TenantRequest", "#/components/schemas/TenantChange"],
    pattern: "^[A-Za-z0-9_.-]{1,64}$",
    problems: ["tenant_not_found", "tenant_exists", "sip_domain_taken", "tenant_in_use", "user_exists"],
);
handlers!(
    trunks, Kind::Trunk, "/trunks", "/trunks/{name}", "name", "trunks",
    ids: ["list_trunks", "create_trunk", "get_trunk", "change_trunk", "delete_trunk"],
    shown: TrunkResource,
    sent: ["#/components/schemas/TrunkRequest", "#/components/schemas/TrunkChange"],
    pattern: "^[A-Za-z0-9_.-]{1,64}$",
    problems: ["trunk_not_found", "trunk_exists"],
);
handlers!(
    numbers, Kind::Number, "/numbers", "/numbers/{number}", "number", "numbers",
    ids: ["list_numbers", "create_number", "get_number", "change_number", "delete_number"],
    shown: NumberResource,
    sent: ["#/components/schemas/NumberRequest", "#/components/schemas/NumberChange"],
    pattern: "^[^/]{1,64}$",
    problems: [
        "number_not_found", "number_exists", "unknown_tenant", "invalid_number", "invalid_answer", "unknown_prompt",
        "unreadable_prompt", "too_many_prompts"
    ],
);
handlers!(
    users, Kind::User, "/users", "/users/{name}", "name", "users",
    ids: ["list_users", "create_user", "get_user", "change_user", "delete_user"],
    shown: UserResource,
    sent: ["#/components/schemas/UserRequest", "#/components/schemas/UserChange"],
    pattern: "^[^/]{1,64}$",
    problems: ["user_not_found", "user_exists", "unknown_tenant"],
);
