using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace VhdCore.Tests.PublicApi;

/// <summary>An assembly's public surface as text: a line for each type and member, sorted, the same on every machine.</summary>
internal static class PublicApiText
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static string Describe(Assembly assembly) => Describe(assembly.GetExportedTypes());

    public static string Describe(IEnumerable<Type> types)
    {
        var lines = types.SelectMany(type => Members(type).Prepend(TypeLine(type))).ToList();
        lines.Sort(StringComparer.Ordinal);
        return string.Concat(lines.Select(line => line + "\n"));
    }

    private static string TypeLine(Type type)
    {
        var kind = type.IsEnum ? "enum"
            : typeof(Delegate).IsAssignableFrom(type) ? "delegate"
            : type.IsInterface ? "interface"
            : type.IsValueType ? (type.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly struct" : "struct")
            : (type.IsAbstract && type.IsSealed ? "static " : type.IsAbstract ? "abstract " : type.IsSealed ? "sealed " : "") + (IsRecord(type) ? "record" : "class");
        var bases = type.IsEnum || typeof(Delegate).IsAssignableFrom(type)
            ? []
            : type.GetInterfaces()
                .Except(type.BaseType?.GetInterfaces() ?? [])
                .Where(face => face.IsPublic && !IsEquatableToItself(face, type))
                .Select(face => TypeNames.Of(face))
                .Order(StringComparer.Ordinal)
                .ToList();
        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType) && !type.IsEnum)
        {
            bases.Insert(0, TypeNames.Of(parent));
        }

        return $"{TypeNames.Of(type)} : {string.Join(", ", bases.Prepend(kind))}";
    }

    private static IEnumerable<string> Members(Type type)
    {
        var name = TypeNames.Of(type);
        if (type.IsEnum)
        {
            return type.GetFields(BindingFlags.Public | BindingFlags.Static)
                .Select(field => $"{name}.{field.Name} = {Convert.ToString(field.GetRawConstantValue(), CultureInfo.InvariantCulture)}");
        }

        var constructors = type.GetConstructors(Declared)
            .Where(IsVisible)
            .Select(constructor => $"{name}.{type.Name}({Parameters(constructor)})");
        var methods = type.GetMethods(Declared)
            .Where(method => IsVisible(method) && !method.IsSpecialName && !method.IsDefined(typeof(CompilerGeneratedAttribute)) && !IsObjects(method))
            .Select(method => $"{Static(method)}{name}.{method.Name}{TypeNames.Arguments(method)}({Parameters(method)}) -> {TypeNames.Of(method.ReturnParameter)}");
        var operators = type.GetMethods(Declared)
            .Where(method => method.IsSpecialName && method.Name.StartsWith("op_", StringComparison.Ordinal) && !method.IsDefined(typeof(CompilerGeneratedAttribute)))
            .Select(method => $"static {name}.{method.Name}({Parameters(method)}) -> {TypeNames.Of(method.ReturnParameter)}");
        var properties = type.GetProperties(Declared)
            .Where(property => property.GetAccessors(nonPublic: true).Any(IsVisible) && property.Name != "EqualityContract")
            .Select(property => Property(name, property));
        var events = type.GetEvents(Declared)
            .Where(@event => IsVisible(@event.AddMethod!))
            .Select(@event => $"{Static(@event.AddMethod!)}event {name}.{@event.Name} -> {TypeNames.Of(@event.EventHandlerType!)}");
        var fields = type.GetFields(Declared)
            .Where(field => field.IsPublic || field.IsFamily)
            .Select(field => $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}{name}.{field.Name} -> {TypeNames.Of(field)}");
        return [.. constructors, .. methods, .. operators, .. properties, .. events, .. fields];
    }

    private static string Property(string owner, PropertyInfo property)
    {
        var accessors = string.Concat(
            property.GetMethod is { } get && IsVisible(get) ? " get;" : "",
            property.SetMethod is { } set && IsVisible(set) ? IsInit(set) ? " init;" : " set;" : "");
        var index = property.GetIndexParameters();
        var name = index.Length == 0 ? property.Name : $"this[{string.Join(", ", index.Select(Parameter))}]";
        var required = property.IsDefined(typeof(RequiredMemberAttribute)) ? "required " : "";
        return $"{Static(property.GetAccessors(nonPublic: true)[0])}{required}{owner}.{name} {{{accessors} }} -> {TypeNames.Of(property)}";
    }

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(Parameter));

    private static string Parameter(ParameterInfo parameter)
    {
        var passing = parameter.IsOut ? "out "
            : parameter.ParameterType.IsByRef ? (parameter.IsIn ? "in " : "ref ")
            : parameter.IsDefined(typeof(ParamArrayAttribute)) ? "params " : "";
        return $"{passing}{TypeNames.Of(parameter)} {parameter.Name}{(parameter.HasDefaultValue ? " = " + Default(parameter) : "")}";
    }

    private static string Default(ParameterInfo parameter) => parameter.DefaultValue switch
    {
        null => parameter.ParameterType.IsValueType && Nullable.GetUnderlyingType(parameter.ParameterType) is null ? "default" : "null",
        string text => $"\"{text}\"",
        bool value => value ? "true" : "false",
        Enum value => $"{value}",
        var value => parameter.ParameterType.IsEnum
            ? Enum.ToObject(parameter.ParameterType, value).ToString()!
            : Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Static(MethodBase method) => method.IsStatic ? "static " : "";

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsInit(MethodInfo set) => set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));

    private static bool IsObjects(MethodInfo method) => method.GetBaseDefinition().DeclaringType == typeof(object);

    private static bool IsRecord(Type type) => type.GetMethod("<Clone>$") is not null;

    private static bool IsEquatableToItself(Type face, Type type) => face == typeof(IEquatable<>).MakeGenericType(type);
}
