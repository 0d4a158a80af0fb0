using VhdCore.Errors;
using VhdCore.Testing;

namespace VhdCore.Tests.PublicApi;

/// <summary>What the library shows is a decision, recorded in VhdCore.txt beside this file.</summary>
public sealed class PublicApiTests
{
    private const string UpdateVariable = "VHDKIT_UPDATE_API";
    private const string ListName = "tests/VhdCore.Tests/PublicApi/VhdCore.txt";

    [Fact]
    public void The_library_s_public_members_are_those_in_the_list()
    {
        var actual = PublicApiText.Describe(typeof(BlockStatus).Assembly);
        var path = RepositoryFiles.PathOf(ListName);
        if (Environment.GetEnvironmentVariable(UpdateVariable) == "1")
        {
            File.WriteAllText(path, actual);
        }

        var listed = File.Exists(path) ? File.ReadAllText(path).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [];
        var present = actual.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var changes = present.Except(listed).Select(line => "+ " + line).Concat(listed.Except(present).Select(line => "- " + line)).ToList();
        Assert.True(
            changes.Count == 0,
            $"The public surface differs from {ListName}. If that is meant, run this test again with {UpdateVariable}=1 and commit the list.\n{string.Join('\n', changes)}");
    }

    [Fact]
    public void The_list_shows_what_a_caller_depends_on()
    {
        var text = PublicApiText.Describe([typeof(Shape), typeof(Thing)]);

        Assert.Equal(
            """
            VhdCore.Tests.PublicApi.PublicApiTests.Shape : enum
            VhdCore.Tests.PublicApi.PublicApiTests.Shape.Round = 4
            VhdCore.Tests.PublicApi.PublicApiTests.Thing : sealed record, System.IDisposable
            VhdCore.Tests.PublicApi.PublicApiTests.Thing.Dispose() -> void
            VhdCore.Tests.PublicApi.PublicApiTests.Thing.Find(string? name, System.Collections.Generic.List<string?> into, int depth = 3, System.Threading.CancellationToken cancellationToken = default) -> string[]
            VhdCore.Tests.PublicApi.PublicApiTests.Thing.Size { get; init; } -> long?
            VhdCore.Tests.PublicApi.PublicApiTests.Thing.Thing()
            event VhdCore.Tests.PublicApi.PublicApiTests.Thing.Changed -> System.Action<long>
            required VhdCore.Tests.PublicApi.PublicApiTests.Thing.Name { get; set; } -> string
            static VhdCore.Tests.PublicApi.PublicApiTests.Thing.TryMake<T>(out T made) -> bool

            """,
            text);
    }

    public enum Shape
    {
        Round = 4,
    }

    public sealed record Thing : IDisposable
    {
        public event Action<long>? Changed;

        public required string Name { get; set; }

        public long? Size { get; init; }

        internal int Hidden { get; set; }

        public static bool TryMake<T>(out T made)
            where T : struct
        {
            made = default;
            return true;
        }

        public string[] Find(string? name, List<string?> into, int depth = 3, CancellationToken cancellationToken = default) =>
            [.. into.Where(text => text != name && depth > Hidden && !cancellationToken.IsCancellationRequested).Select(text => text!)];

        public void Dispose() => Changed?.Invoke(0);
    }
}
