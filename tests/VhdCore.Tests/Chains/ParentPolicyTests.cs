using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Chains;

public sealed class ParentPolicyTests
{
    [Theory]
    [InlineData("/vm")]
    [InlineData("/vm/")]
    [InlineData("/")]
    public async Task A_parent_below_the_folder_is_followed(string root)
    {
        var parent = Image("base.vhd", 1).PutText(1, 1);
        var leaf = Image("leaf.vhd", 2, parent);
        Assert.Equal(leaf.Content(), await ReadAllAsync(Memory(parent, leaf), "/vm/leaf.vhd", BelowRoot(root)));
    }

    [Theory]
    [InlineData("/vmware")]
    [InlineData("/v")]
    [InlineData("/vm/base.vhd/x")]
    [InlineData("/elsewhere")]
    public async Task A_parent_elsewhere_is_not(string root)
    {
        var parent = Image("base.vhd", 1);
        var resolver = Memory(parent, Image("leaf.vhd", 2, parent));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd", BelowRoot(root)));
        Assert.Contains("lies outside", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Neither_dots_nor_an_absolute_name_lead_out_of_the_folder()
    {
        var secret = Image("secret.vhd", 1);
        foreach (var name in (string[])["../secret/secret.vhd", "/secret/secret.vhd", "sub/../../secret/secret.vhd"])
        {
            var resolver = Memory(Image("leaf.vhd", 2, Image(name, 1)));
            resolver.Add("/secret/secret.vhd", secret.Build());
            await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd", BelowRoot("/vm")));
        }
    }

    [Fact]
    public async Task A_link_that_leads_out_of_the_folder_is_not_followed_and_one_inside_is()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Making a symbolic link needs a privilege on Windows.");
        using var folder = new TempFolder();
        var inside = Directory.CreateDirectory(folder["inside"]).FullName;
        var outside = Directory.CreateDirectory(folder["outside"]).FullName;
        var parent = Image("base.vhd", 1).PutText(2, 2);
        var leaf = Image("leaf.vhd", 2, parent);
        var leafPath = Path.Combine(inside, "leaf.vhd");
        File.WriteAllBytes(leafPath, leaf.Build());
        File.WriteAllBytes(Path.Combine(outside, "base.vhd"), parent.Build());
        File.CreateSymbolicLink(Path.Combine(inside, "base.vhd"), Path.Combine(outside, "base.vhd"));
        var resolver = new FileStorageResolver();

        Assert.Equal(leaf.Content(), await ReadAllAsync(resolver, leafPath));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, leafPath, BelowRoot(inside)));
        Assert.Contains("lies outside", exception.Message, StringComparison.Ordinal);
        Assert.Equal(leaf.Content(), await ReadAllAsync(resolver, leafPath, BelowRoot(folder.Path)));

        // The allowed folder may itself be named by a link.
        File.CreateSymbolicLink(folder["alias"], folder.Path);
        Assert.Equal(leaf.Content(), await ReadAllAsync(resolver, leafPath, BelowRoot(folder["alias"])));
    }

    [Fact]
    public async Task A_place_that_changes_while_it_is_opened_is_not_believed()
    {
        var parent = Image("base.vhd", 1);
        var resolver = new SwappingResolver(Memory(parent, Image("leaf.vhd", 2, parent)), "/vm/base.vhd");
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/leaf.vhd", BelowRoot("/vm")));
        Assert.Contains("changed its place", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_leaf_that_is_opened_through_a_link_finds_its_parent_where_it_lies()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Making a symbolic link needs a privilege on Windows.");
        using var folder = new TempFolder();
        var pool = Directory.CreateDirectory(folder["pool"]).FullName;
        var parent = Image("base.vhd", 1).PutText(2, 2);
        var leaf = Image("leaf.vhd", 2, parent);
        File.WriteAllBytes(Path.Combine(pool, "leaf.vhd"), leaf.Build());
        File.WriteAllBytes(Path.Combine(pool, "base.vhd"), parent.Build());
        File.CreateSymbolicLink(folder["current.vhd"], Path.Combine(pool, "leaf.vhd"));
        Assert.Equal(leaf.Content(), await ReadAllAsync(new FileStorageResolver(), folder["current.vhd"]));
    }

    private static ImageOpenOptions BelowRoot(string root) => new() { Parents = ParentPolicy.BelowRoot, ParentRoot = root };

    /// <summary>Canonical names change once a storage has been opened, as when a folder is replaced by a link.</summary>
    private sealed class SwappingResolver(MemoryStorageResolver inner, string swapped) : IStorageResolver
    {
        private bool _isSwapped;

        public async ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default)
        {
            _isSwapped |= name == swapped;
            return await inner.OpenAsync(name, options, cancellationToken);
        }

        public bool Exists(string name) => inner.Exists(name);

        public void Delete(string name) => inner.Delete(name);

        public string Canonicalize(string name) => _isSwapped && name == swapped ? "/secret/base.vhd" : inner.Canonicalize(name);

        public string Combine(string baseName, string relativeName) => inner.Combine(baseName, relativeName);
    }
}
