//! The protocol's side of the nine tools. rmcp negotiates and routes; this answers.

use std::sync::Arc;

use agora_engine::operations::{Address, OpError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use crate::call::{Call, Desks};
use crate::error;
use crate::home::Home;
use crate::progress::Progress;
use crate::prompt;
use crate::reply;
use crate::resource;
use crate::tools::{Entry, Tools, unknown_tool};
use crate::waits::Waits;

/// Methods that exist here: a request for one of them that rmcp could not read has wrong parameters.
const METHODS: [&str; 13] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
    "subscriptions/listen",
    "logging/setLevel",
];

/// The server of one connection.
pub(crate) struct Server {
    tools: Tools,
    home: Home,
    desks: Desks,
}

impl Server {
    /// Builds the tools; opens nothing.
    ///
    /// # Errors
    /// When the tools' list has no canonical form.
    pub(crate) fn new(home: Home) -> anyhow::Result<Self> {
        Ok(Self { tools: Tools::new()?, home, desks: Desks::new() })
    }

    async fn call(
        &self,
        entry: &Entry,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<serde_json::Value, OpError> {
        let prepared = entry.prepare(params.arguments.unwrap_or_default())?;
        let (home, progress) = (self.home.clone(), Progress::of(&context));
        let waits = Waits::of(context.client_info().as_ref().map(|client| client.name.as_str()));
        let caller = home.caller(self.tools.digest())?;
        let work = async move {
            let engine = home.engine().await?;
            let stop = home.stop().clone();
            prepared(Arc::new(Call { engine, caller, waits, progress, stop })).await
        };
        self.desks.run(&context, entry.waits, work).await
    }

    async fn read(&self, uri: String, context: RequestContext<RoleServer>) -> Result<ReadResourceResponse, OpError> {
        let address = Address::parse(&uri)?;
        let (home, caller) = (self.home.clone(), self.home.caller(self.tools.digest())?);
        let work = async move {
            let engine = home.engine().await?;
            resource::read(&engine, &caller, address, &uri).await
        };
        self.desks.run(&context, false, work).await.map(Into::into)
    }
}

/// Every list fits one page, so no cursor was ever given out.
fn one_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        Some(_) => Err(ErrorData::invalid_params("unknown cursor: this list has one page", None)),
        None => Ok(()),
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().build();
        let mut about = Implementation::new("agora", env!("CARGO_PKG_VERSION"));
        about.title = Some("agora".to_owned());
        about.description = Some("Hands work to agents you do not trust; brings back patches and evidence".to_owned());
        let mut info = ServerConfig::new(capabilities).with_instructions(prompt::INSTRUCTIONS);
        info.server_info = about;
        info
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        one_page(request)?;
        Ok(ListToolsResult::with_all_items(self.tools.list()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.get(name).map(|entry| entry.tool.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entry) = self.tools.get(&request.name) else {
            return Err(unknown_tool(&self.tools, &request.name));
        };
        let result = match self.call(entry, request, context).await {
            Ok(value) => reply::success(value),
            Err(error) => error::tool_error(&error::without_home(error, self.home.path())),
        };
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        one_page(request)?;
        Ok(ListPromptsResult::with_all_items(prompt::list()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompt::get(&request).map(Into::into)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        one_page(request)?;
        Ok(ListResourcesResult::default())
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        one_page(request)?;
        Ok(ListResourceTemplatesResult::with_all_items(resource::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.read(request.uri, context)
            .await
            .map_err(|error| error::protocol_error(&error::without_home(error, self.home.path())))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if METHODS.contains(&request.method.as_str()) {
            return Err(ErrorData::invalid_params(format!("the parameters of {} are not valid", request.method), None));
        }
        let method: String = request.method.chars().take(64).collect();
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("method not found: {method}"), None))
    }
}
