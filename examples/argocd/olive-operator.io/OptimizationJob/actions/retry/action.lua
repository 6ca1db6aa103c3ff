-- A new value of the annotation: what has failed is tried again, with a fresh count of failures.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["olive-operator.io/retry"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
