-- What was suspended goes on.
obj.spec.suspend = false
return obj
