-- Which actions an OptimizationJob offers: those of kubectl olive that would change something.
local suspended = obj.spec.suspend == true
local failed = false
if obj.status ~= nil then
  for _, stage in ipairs(obj.status.stages or {}) do
    if (stage.failures or 0) > 0 and stage.state ~= "Succeeded" then
      failed = true
    end
  end
end

local actions = {}
actions["retry"] = {
  ["disabled"] = not failed,
  ["displayName"] = "Retry",
  ["iconClass"] = "fa fa-fw fa-redo",
}
actions["suspend"] = {
  ["disabled"] = suspended,
  ["displayName"] = "Suspend",
  ["iconClass"] = "fa fa-fw fa-pause",
}
actions["resume"] = {
  ["disabled"] = not suspended,
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play",
}
return actions
