-- The health of an OptimizationJob, by the conditions that the operator writes.
local health = {status = "Progressing", message = "the operator has not seen it yet"}

local status = obj.status
if status == nil or status.conditions == nil then
  return health
end
if (status.observedGeneration or 0) < obj.metadata.generation then
  health.message = "the operator has not seen the newest spec yet"
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local function is(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local ready = conditions["Ready"] or {reason = "Unknown", message = "there is no condition Ready"}
health.message = ready.reason .. ": " .. ready.message
if is("Stalled") then
  health.status = "Degraded"
elseif is("Ready") then
  health.status = "Healthy"
elseif ready.reason == "Suspended" then
  health.status = "Suspended"
end
return health
