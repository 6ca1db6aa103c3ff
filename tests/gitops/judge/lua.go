package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// into runs a script as Argo CD runs those of argocd-cm, and decodes the table that it returns.
//
// There are the basic functions and tables; of `os`, by require alone, time and date; no other
// library, and a second to come to an end. The object is the global `obj`.
func into(target any, script string, object map[string]any) error {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(open), Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return err
		}
	}
	state.PreloadModule(lua.OsLibName, clock)
	ends, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ends)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return fmt.Errorf("it returns no table, but %s", state.Get(-1).Type())
	}
	text, err := luajson.Encode(table)
	if err != nil || string(text) == "[]" { // an empty table: nothing is said
		return err
	}
	return json.Unmarshal(text, target)
}

// clock is all that is left of `os`: what it says, and nothing that it could do.
func clock(state *lua.LState) int {
	whole := lua.NewState()
	defer whole.Close()
	left := map[string]lua.LGFunction{}
	for _, name := range []string{"time", "date"} {
		found := whole.GetField(whole.GetGlobal(lua.OsLibName), name)
		left[name] = found.(*lua.LFunction).GFunction
	}
	state.Push(state.SetFuncs(state.NewTable(), left))
	return 1
}

func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case bool:
		return lua.LBool(of)
	case string:
		return lua.LString(of)
	case int64:
		return lua.LNumber(of)
	case float64:
		return lua.LNumber(of)
	case []any:
		list := state.CreateTable(len(of), 0)
		for _, element := range of {
			list.Append(value(state, element))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(of))
		for key, element := range of {
			table.RawSetString(key, value(state, element))
		}
		return table
	}
	return lua.LNil
}
