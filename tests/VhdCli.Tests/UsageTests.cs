using System.Text.Json;
using VhdCore.Testing;

namespace VhdCli.Tests;

public sealed class UsageTests
{
    public static TheoryData<string> Verbs { get; } = ["info", "create", "convert", "map", "check", "compare", "measure", "read", "write", "hash", "replay"];

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task Every_verb_has_help_with_examples_that_begin_with_its_name(string verb)
    {
        var result = (await Cli.RunAsync(verb, "--help")).EnsureSuccess();
        Assert.Contains("Usage:", result.Output, StringComparison.Ordinal);
        Assert.Contains("Examples:", result.Output, StringComparison.Ordinal);
        Assert.Contains($"vhdkit {verb} ", result.Output, StringComparison.Ordinal);
        Assert.Empty(result.Error);
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task A_verb_without_its_arguments_shows_its_own_help_on_stderr(string verb)
    {
        var result = (await Cli.RunAsync(verb)).EnsureExit(1);
        Assert.StartsWith("vhdkit: ", result.Error, StringComparison.Ordinal);
        Assert.Contains($"vhdkit {verb} ", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    [Fact]
    public async Task The_help_lists_all_verbs()
    {
        var result = (await Cli.RunAsync("--help")).EnsureSuccess();
        Assert.All(Verbs, verb => Assert.Contains($"\n  {verb.Data}", result.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_version_is_one_line() =>
        Assert.Matches(@"^vhdkit \d+\.\d+\.\d+\S*\n$", (await Cli.RunAsync("--version")).EnsureSuccess().Output);

    [Theory]
    [InlineData("Command not found: bogus", "bogus")]
    [InlineData("Required command was not provided")]
    [InlineData("Unknown file format 'nonesuch'", "convert", "-O", "nonesuch", "a", "b")]
    [InlineData("Invalid size '1X'", "create", "-f", "raw", "x.raw", "1X")]
    [InlineData("--output must be used with human or json", "info", "--output=xml", "x")]
    [InlineData("Image creation needs a size parameter", "create", "-f", "vhd", "x.vhd")]
    [InlineData("Invalid parameter 'foo'", "create", "-f", "vhd", "-o", "foo=1", "x.vhd", "1G")]
    [InlineData("Backing file not supported", "create", "-f", "raw", "-b", "y", "x.raw")]
    [InlineData("Either --size N or one filename", "measure", "-O", "vhd")]
    [InlineData("-m takes a number", "convert", "-m", "0", "a", "b")]
    [InlineData("none of none, writeback", "convert", "-t", "fast", "a", "b")]
    [InlineData("exclude each other", "info", "--no-parent", "--parent-root", "/", "x")]
    [InlineData("is no UUID", "create", "--uuid", "17", "x.vhd", "1G")]
    public async Task A_command_line_that_makes_no_sense_exits_with_1(string message, params string[] args)
    {
        var result = (await Cli.RunAsync(args)).EnsureExit(1);
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.Contains("Usage:", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "info")]
    [InlineData(1, "map")]
    [InlineData(1, "hash")]
    [InlineData(1, "check")]
    [InlineData(1, "measure")]
    [InlineData(2, "compare")]
    public async Task An_error_for_programs_is_one_JSON_object_on_stderr(int exitCode, string verb)
    {
        using var folder = new TempFolder();
        var missing = folder["missing.vhd"];
        string[] args = verb == "compare" ? [verb, "--output=json", missing, missing] : [verb, "--output=json", missing];
        var result = (await Cli.RunAsync(args)).EnsureExit(exitCode);
        Assert.Empty(result.Output);
        var error = JsonDocument.Parse(result.Error).RootElement;
        Assert.Equal("io", error.GetProperty("kind").GetString());
        Assert.Equal(missing, error.GetProperty("path").GetString());
        Assert.Equal(JsonValueKind.Null, error.GetProperty("fileOffset").ValueKind);
        Assert.NotEqual("", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task An_error_for_people_begins_with_the_program_s_name_and_has_the_path()
    {
        var result = (await Cli.RunAsync("info", "/nowhere/disk.vhd")).EnsureExit(1);
        Assert.StartsWith("vhdkit: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("/nowhere/disk.vhd", result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_damaged_image_s_error_carries_the_place()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["a.vhd"], "8M")).EnsureSuccess();
        var bytes = File.ReadAllBytes(folder["a.vhd"]);
        bytes[512 + 100] ^= 0xFF; // in the dynamic header: its checksum no longer holds
        File.WriteAllBytes(folder["a.vhd"], bytes);
        var error = JsonDocument.Parse((await Cli.RunAsync("map", "--output=json", folder["a.vhd"])).EnsureExit(1).Error).RootElement;
        Assert.Equal("corrupt", error.GetProperty("kind").GetString());
        Assert.Equal(512, error.GetProperty("fileOffset").GetInt64());
    }

    [Fact]
    public async Task Names_that_begin_with_an_at_sign_or_a_dash_are_names()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", "-f", "raw", folder["@list"], "1M")).EnsureSuccess();
        Assert.Contains("virtual size: 1 MiB", (await Cli.RunAsync("info", folder["@list"])).EnsureSuccess().Output, StringComparison.Ordinal);
        var likeVerb = (await Cli.RunAsync("info", "info")).EnsureExit(1); // an image called like the verb, which is not there
        Assert.Contains("'info'", likeVerb.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Usage:", likeVerb.Error, StringComparison.Ordinal);
        Assert.Contains("-no-such-file", (await Cli.RunAsync("info", "--", "-no-such-file")).EnsureExit(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Traces_say_what_was_opened_by_which_rule()
    {
        using var folder = new TempFolder();
        var result = (await Cli.RunAsync("convert", "-v", "-O", "raw", Images.ChainLeaf, folder["o.raw"])).EnsureSuccess();
        Assert.Contains("size rule", result.Error, StringComparison.Ordinal);
        Assert.Contains("parent found at", result.Error, StringComparison.Ordinal);
        Assert.Contains("is complete", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }
}
